"""Networks that people know, each as two functions.

``parameters(...)`` makes the seeded first values, a dictionary of arrays by name, and
``network(x, p)`` builds the expression of the scores for the images ``x`` (batch,
channels, rows, columns), where ``p`` maps the same names to variables: shared ones to
train, constants for a network that is done, inputs if it suits.  The names say the
network's size too, so ``network`` builds whatever ``parameters`` was asked for.

    from networks import layers, resnet

    p = layers.shared(resnet.parameters())
    x, labels = T.ftensor4("x"), T.ivector("labels")
    running = []
    loss = layers.cross_entropy(resnet.network(x, p, running), labels)
    updates = layers.momentum(loss, layers.trained(p)) + running
    train = croton.function([x, labels], loss, updates=updates)
    scores = croton.function([x], resnet.network(x, p))

Filters are correlated with the image, not convolved (``filter_flip=False``), and a dense
layer's weights are (results, inputs): the way in which trained weights are handed around.
"""
