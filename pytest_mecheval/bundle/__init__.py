"""What the agent handed in: discovery, passages with file and line, content hashes. Runs nothing."""
