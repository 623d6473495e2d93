"""Demo: a program that plays a jam of three and checks that all three heard the same."""
