"""What is made on purpose to learn and test from: generated rooms, and recordings of tours through them."""
