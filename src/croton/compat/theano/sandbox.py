"""``theano.sandbox`` itself holds modules only."""
