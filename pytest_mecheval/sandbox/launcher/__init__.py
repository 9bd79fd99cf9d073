"""The trusted process around one confined program; standard library only, runs under `python -I -S`."""
