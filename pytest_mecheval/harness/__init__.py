"""The measuring engine: the only package that imports torch; runs as a child process, job file in, evidence out."""
