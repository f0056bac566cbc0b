// SPDX-License-Identifier: AGPL-3.0-only
// What serving takes is in common/harden/serving_calls.cc; here is what SQLite and the spool of packages add. There is no connect:
// stated calls nobody.
#include "stated/syscalls.h"

#include <fcntl.h>

#include "common/harden/serving_calls.h"

namespace auspex::stated {
namespace {

AllowList MakeList() {
  AllowList list = ServingCalls();
  list.Add({
      {"pread64", {}, "SQLite: pages; the spool: a package on its way to runnerd"},
      {"pwrite64", {}, "SQLite: pages and the write-ahead log"},
      {"fsync", {}, "SQLite: the folder after a file came or went"},
      {"fdatasync", {}, "SQLite: a transaction is durable before it is answered"},
      {"ftruncate", {}, "SQLite: the shared index of the log, a log that is started anew"},
      {"fallocate", {}, "SQLite: room in the shared index"},
      {"fstatfs", {}, "C library: room in advance on a disk that cannot give it (fallocate)"},
      {"access", {}, "SQLite: is there a journal"},
      {"faccessat", {}, "the same"},
      {"stat", {}, "the same, in older C libraries"},
      {"lstat", {}, "SQLite: is the database a link"},
      {"readlink", {}, "the same"},
      {"readlinkat", {}, "the same"},
      {"getcwd", {}, "SQLite: the whole name of a database"},
      {"mkdir", {}, "folders that are made when first used"},
      {"mkdirat", {}, "the same"},
      {"getdents64", {}, "the spool: what an earlier stated left"},
      {"rename", {}, "files that are replaced whole"},
      {"renameat", {}, "the same"},
      {"renameat2", {}, "the same"},
      {"rmdir", {}, "the spool's end"},
      {"fchmod", {}, "private modes whatever the umask"},
      {"fchown", {}, "SQLite: the log has the database's owner, when stated is root's"},
      FcntlOf(F_SETLK, "SQLite: its locks"),
      FcntlOf(F_GETLK, "SQLite: the same"),
      FcntlOf(F_GETFD, "SQLite: close-on-exec"),
      FcntlOf(F_SETFD, "SQLite: the same"),
  });
  return list;
}

}  // namespace

const AllowList& StatedCalls() {
  static const AllowList list = MakeList();
  return list;
}

}  // namespace auspex::stated
