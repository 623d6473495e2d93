"""The language of both commands: messages, codecs, timetags, order. No I/O."""
