"""One variant from a recipe: the level that it asks for, and the artifact that ships it."""
