"""Stock: knows Sonic Pi's own files on this host, and reports notes that this host lacks files for."""
