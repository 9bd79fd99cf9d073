"""Who answers asks: the model service, recorded answers, files in a folder. One provider is one file."""
