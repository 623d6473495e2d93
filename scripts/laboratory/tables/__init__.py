"""Tables: the laboratory's pages in docs/, with the tables and figures on them."""
