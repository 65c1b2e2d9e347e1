"""The outside world, one vendor a module: who they are, what they say, what their errors mean."""
