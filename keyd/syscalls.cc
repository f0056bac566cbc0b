// SPDX-License-Identifier: AGPL-3.0-only
// Read with docs/ARCHITECTURE.md, "What keyd takes away from itself", and with common/harden/serving_calls.cc, where the rows are
// that keyd has in common with the other daemons. It has no connect either: keyd calls nobody.
#include "keyd/syscalls.h"

#include <sys/mman.h>

#include "common/harden/serving_calls.h"

namespace auspex::keyd {
namespace {

AllowList MakeList() {
  AllowList list = ServingCalls();
  list.Add({
      // Files: the journal, the ledger, the sealed key, the enrolment.
      {"pread64", {}, "journal: listing and proofs"},
      {"pwrite64", {}, "journal and ledger"},
      {"fsync", {}, "key file, folders"},
      {"sync_file_range", {}, "journal: the disk begins while keyd computes"},
      {"fdatasync", {}, "journal: a record is durable before its signature leaves"},
      {"ftruncate", {}, "SecretMemory, ledger, a journal's tail that was not written"},
      {"fallocate", {}, "ledger: room before it is needed"},
      {"fstatfs", {}, "C library: room in advance on a disk that cannot give it (fallocate)"},
      {"access", {}, "key store, enrolment: is a file there"},
      {"faccessat", {}, "the same"},
      {"getdents64", {}, "journal: the list of its segments"},
      {"rename", {}, "files that are replaced whole"},
      {"renameat", {}, "the same"},
      {"renameat2", {}, "key file: put in place only where there is none"},
      {"fchmod", {}, "private modes whatever the umask"},

      // What holds the key may only become less shared.
      {"mlock", {}, "SecretMemory where there is no memfd_secret"},
      {"memfd_secret", {}, "SecretMemory: a new key"},
      MadviseOf(MADV_DONTFORK, "SecretMemory"),
      MadviseOf(MADV_DONTDUMP, "SecretMemory"),
      MadviseOf(MADV_WIPEONFORK, "SecretMemory"),
  });
  return list;
}

}  // namespace

const AllowList& KeydCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex::keyd
