"""What :mod:`croton.config` is made of: the table of flags, their types, where they are set."""
