// SPDX-License-Identifier: AGPL-3.0-only
// auspex-unpack: reads a package archive from descriptor 0 and unpacks it into /out, inside a
// sandbox of its own; the report on descriptor 1 is one line, "OUTCOME MEMBERS OCTETS WHY\n".
// Static: the sandbox shows it nothing but that folder.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "runnerd/init/protocol.h"
#include "runnerd/unpack/unpack.h"

int main(int argc, char**) {
  if (argc != 1) {
    fputs("auspex-unpack: takes no arguments; it is only for auspex-runnerd\n", stderr);
    return 2;
  }
  if (close_range(3, ~0U, 0) != 0) return 2;
  const auspex::runnerd::UnpackLimits limits;
  const rlimit no_core{0, 0}, memory{256 << 20, 256 << 20},
      file{limits.unpacked_octets, limits.unpacked_octets};
  setrlimit(RLIMIT_CORE, &no_core);
  if (setrlimit(RLIMIT_AS, &memory) != 0 || setrlimit(RLIMIT_FSIZE, &file) != 0) return 2;
  int target = open(auspex::unit_init::kUnpackDir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (target < 0) {
    perror(auspex::unit_init::kUnpackDir);
    return 2;
  }
  const auspex::runnerd::UnpackResult result = auspex::runnerd::Unpack(0, target, limits);
  printf("%s %llu %llu %s\n", auspex::runnerd::UnpackWord(result.outcome).data(),
         static_cast<unsigned long long>(result.members),
         static_cast<unsigned long long>(result.octets), result.why.c_str());
  return fflush(stdout) == 0 ? 0 : 1;
}
