/* file_io: whole reads and writes, however often the system is interrupted. Each returns 0 or a fault (fault.h). */
#ifndef DUCK_NODE_FILE_IO_H
#define DUCK_NODE_FILE_IO_H

#include <stddef.h>
#include <stdint.h>

/* Up to the end of the file: `*size` may be less than `capacity`. */
int file_read_all(int file, uint8_t *bytes, size_t capacity, size_t *size);

int file_write_all(int file, const uint8_t *bytes, size_t size);

#endif
