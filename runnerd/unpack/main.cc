// SPDX-License-Identifier: AGPL-3.0-only
// auspex-unpack: reads a package archive from descriptor 0 and hands its files over on descriptor 1
// as unpack/stream.h says, inside a sandbox of its own in which it can write nowhere. Static: the
// sandbox shows it nothing.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "runnerd/unpack/stream.h"
#include "runnerd/unpack/unpack.h"

int main(int argc, char**) {
  if (argc != 1) {
    fputs("auspex-unpack: takes no arguments; it is only for auspex-runnerd\n", stderr);
    return 2;
  }
  if (close_range(3, ~0U, 0) != 0) return 2;
  const auspex::runnerd::UnpackLimits limits;
  const rlimit nothing{0, 0}, memory{256 << 20, 256 << 20};
  setrlimit(RLIMIT_CORE, &nothing);
  if (setrlimit(RLIMIT_AS, &memory) != 0 || setrlimit(RLIMIT_FSIZE, &nothing) != 0) return 2;
  auspex::runnerd::StreamSink sink(1);
  return sink.Finish(auspex::runnerd::Unpack(0, sink, limits)) ? 0 : 1;
}
