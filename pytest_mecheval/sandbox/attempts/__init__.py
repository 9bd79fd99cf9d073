"""The cases of the contract, one module per subject; each plays an attacker or an honest program.

An attacker must do no harm to this machine when it gets through, because that is what the cases find out:
it asks with signal 0, sets what is set already, and writes to places that are named `planted`.
"""
