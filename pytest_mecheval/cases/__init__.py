"""From claim file to pytest: guards, rendered test modules, the session and the `audit` fixture."""
