"""What a user does: one module for each, used by the library and by the command line alike."""
