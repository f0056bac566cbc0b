// SPDX-License-Identifier: AGPL-3.0-only
#include "common/base/startup_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace auspex {
namespace {

constexpr uintptr_t kBlock = 8 * 1024;

int ReleaseProgram(dl_phdr_info* info, size_t, void*) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    // The writable segment holds relocated tables, which exist nowhere else, even where they were made
    // read-only since.
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    const uintptr_t first = (begin + page - 1) / page * page;
    const uintptr_t last = (begin + segment.p_memsz) / page * page;
    if (first >= last) continue;
    ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
    // A fault maps up to 64 KiB around it, but nothing beyond its area of one advice: blocks that differ in theirs keep what is
    // mapped close to what is used. The advice itself is about reading ahead from disk, where all of it was read already.
    for (uintptr_t block = first; block + kBlock <= last; block += 2 * kBlock)
      ::madvise(reinterpret_cast<void*>(block), kBlock, MADV_RANDOM);
  }
  return 1;  // The first object is the program itself; the libraries are shared with others.
}

}  // namespace

void ReleaseStartupPages() { ::dl_iterate_phdr(&ReleaseProgram, nullptr); }

}  // namespace auspex
