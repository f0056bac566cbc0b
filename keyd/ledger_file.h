// SPDX-License-Identifier: AGPL-3.0-only
// LedgerFile: a hash table of fixed records in a file without a name, for what keyd must remember
// about each assignment in more numbers than its memory shall hold. Open addressing in the order of
// the keys, grown by doubling. The file's room is reserved when the table is made or grown, so that
// a full disk is an error then, and never a failed write or a signal later. Nothing of it survives
// the process: it is rebuilt from the journal. Not thread-safe.
//
// Read and written by pread and pwrite, one page or less at a time: the process keeps nothing of it
// resident, and an error of the disk comes back as a status (a mapping would answer with SIGBUS).
#ifndef AUSPEX_KEYD_LEDGER_FILE_H_
#define AUSPEX_KEYD_LEDGER_FILE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::keyd {

class LedgerFile {
 public:
  // 64 octets each. A key of zeros marks a free slot.
  struct Slot {
    std::array<unsigned char, 16> key{};
    std::array<unsigned char, 32> body{};
    std::array<unsigned char, 16> result{};
  };
  static_assert(sizeof(Slot) == 64);

  // A table in `folder`; in memory when `folder` is empty. Makes no file before the first Find.
  explicit LedgerFile(std::string folder) : folder_(std::move(folder)) {}

  // Where the slot of a key is.
  struct Place {
    uint64_t index = 0;
    bool found = false;
    Slot slot;  // as stored; only its key is set when there is none
  };
  // The slot of `key`, or the free one where it would go; with room for it (the table grows first).
  // RESOURCE_EXHAUSTED when the disk has none, FAILED_PRECONDITION when the folder's file system
  // cannot hold such a file; each names the folder.
  absl::StatusOr<Place> Find(const std::array<unsigned char, 16>& key);
  // Stores a slot at the place that Find gave.
  absl::Status Put(const Place& place);

  uint64_t size() const { return used_; }

 private:
  // A file of its own while the table grows.
  struct Table {
    UniqueFd fd;
    unsigned bits = 0;  // 2^bits slots in which a key may want to be, and kSpill behind them
  };
  absl::StatusOr<Table> MakeTable(unsigned bits) const;
  absl::StatusOr<std::optional<Place>> Probe(const Table& table,
                                             const std::array<unsigned char, 16>& key) const;
  absl::Status Grow();
  absl::Status Move(const Table& from, const Table& to) const;
  absl::Status Read(const Table& table, uint64_t index, Slot* out, size_t slots) const;
  absl::Status Write(const Table& table, uint64_t index, const Slot* in, size_t slots) const;
  std::string name() const;

  const std::string folder_;
  Table table_;
  uint64_t used_ = 0;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_LEDGER_FILE_H_
