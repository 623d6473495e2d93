"""Demo: shows what jamrelay is for, a jam of three, and checks that it went well."""
