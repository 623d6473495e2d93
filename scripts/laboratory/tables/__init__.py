"""Tables and pages of docs/ that the laboratory writes."""
