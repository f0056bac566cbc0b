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
#include <functional>
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

  // Builds the whole table at once, while it is still empty, from slots that come in kParts parts in
  // the order of their keys. `parts` gives those of part `number` to `take`, in the order in which
  // they count: of several for one key the first body and the last result. `at_most`: how many
  // there are. Errors as of Find.
  static constexpr size_t kParts = 128;
  static size_t PartOf(const std::array<unsigned char, 16>& key) { return key[0] >> 1; }
  using Take = std::function<absl::Status(const Slot&)>;
  absl::Status Build(uint64_t at_most,
                     const std::function<absl::Status(size_t number, const Take& take)>& parts);

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

  const std::string folder_;
  Table table_;
  uint64_t used_ = 0;
};

// What LedgerFile and LedgerLoad do with a file: open one without a name in `folder` (in memory when
// that is empty), read and write slots at an index. Errors name the folder.
absl::StatusOr<UniqueFd> OpenNamelessFile(const std::string& folder);
absl::Status ReadSlots(int fd, const std::string& folder, uint64_t index, LedgerFile::Slot* out,
                       size_t slots);
absl::Status WriteSlots(int fd, const std::string& folder, uint64_t index,
                        const LedgerFile::Slot* in, size_t slots);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_LEDGER_FILE_H_
