// SPDX-License-Identifier: AGPL-3.0-only
// The few system call loops that the static programs need. Async-signal-safe, no heap.
#ifndef AUSPEX_RUNNERD_INIT_IO_H_
#define AUSPEX_RUNNERD_INIT_IO_H_

#include <cstddef>
#include <cstdint>

namespace auspex::unit_init {

// Writes all octets; false on an error (errno is set).
bool WriteFully(int fd, const char* octets, size_t size);
// Writes a text that ends with NUL.
bool WriteText(int fd, const char* text);
// Copies `size` octets from a file to `out`; false when the file ends early or on an error.
bool CopyFile(int out, int file, uint64_t size);
// Writes "end KIND NUMBER OUTPUT SIZE\n".
bool WriteEnd(int fd, const char* kind, int number, const char* output, uint64_t size);

}  // namespace auspex::unit_init

#endif  // AUSPEX_RUNNERD_INIT_IO_H_
