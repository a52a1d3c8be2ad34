"""The command line: flags in, one call of a use case, its result out."""
