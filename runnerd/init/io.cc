// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/init/io.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace auspex::unit_init {

bool WriteFully(int fd, const char* octets, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, octets, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    octets += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

bool WriteText(int fd, const char* text) { return WriteFully(fd, text, strlen(text)); }

bool CopyFile(int out, int file, uint64_t size) {
  char buffer[32 * 1024];
  while (size > 0) {
    ssize_t n = read(file, buffer, size < sizeof buffer ? size : sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    if (!WriteFully(out, buffer, static_cast<size_t>(n))) return false;
    size -= static_cast<uint64_t>(n);
  }
  return true;
}

bool WriteEnd(int fd, const char* kind, int number, const char* output, uint64_t size) {
  char line[96];
  snprintf(line, sizeof line, "end %s %d %s %llu\n", kind, number, output,
           static_cast<unsigned long long>(size));
  return WriteText(fd, line);
}

}  // namespace auspex::unit_init
