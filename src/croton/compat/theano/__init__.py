"""Names of Theano's that are not names of Croton's: small, each where Theano had it."""
