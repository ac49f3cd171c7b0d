"""Images and videos: decoding by index, and whether they are what a store says of them."""
