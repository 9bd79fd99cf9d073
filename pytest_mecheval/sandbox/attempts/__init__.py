"""The cases of the contract, one module per subject; each plays an attacker or an honest program."""
