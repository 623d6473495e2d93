"""Wire: all that relay and bridge share: messages, codecs, timetags, and the order of events. No I/O."""
