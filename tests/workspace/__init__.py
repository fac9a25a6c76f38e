"""The workspace commands, against a workspace that answers on this machine."""
