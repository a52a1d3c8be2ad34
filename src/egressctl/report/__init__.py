"""A Report as each output format wants it. Pure: values in, text or plain data out."""
