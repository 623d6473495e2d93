"""What both commands speak: messages, codecs, timetags, order. No I/O."""
