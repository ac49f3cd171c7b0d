"""How deephar's networks are trained: losses, recipes, several datasets mixed, stages, and networks that go on."""
