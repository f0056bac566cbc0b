// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/ledger_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {

using Key = std::array<unsigned char, 16>;
constexpr unsigned kFirstBits = 10;
// A key is at most so many slots behind the one it wants. With three in four slots taken that is
// never reached by keys that are spread evenly; if it were, the table grows.
constexpr uint64_t kSpill = 1024;
constexpr size_t kProbe = 16;  // slots read at a time: one or two answer nearly every search

// The slot that a key wants: its first bits, so that slots are in the order of the keys, and twice
// the slots mean twice the index.
uint64_t Home(const Key& key, unsigned bits) {
  uint64_t first = 0;
  for (size_t i = 0; i < 8; ++i) first = first << 8 | key[i];
  return first >> (64 - bits);
}

uint64_t SlotsOf(unsigned bits) { return (uint64_t{1} << bits) + kSpill; }

// So many slots may be taken.
uint64_t RoomOf(unsigned bits) { return (uint64_t{1} << bits) / 4 * 3; }

bool IsFree(const LedgerFile::Slot& slot) { return slot.key == Key{}; }

std::string NameOf(const std::string& folder) {
  return folder.empty() ? "assignments in memory" : Cat("assignments in ", folder);
}

absl::Status TooManyAlike(const std::string& folder) {
  return absl::InternalError(Cat(NameOf(folder), ": too many keys are alike"));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenNamelessFile(const std::string& folder) {
  if (folder.empty()) {
    UniqueFd fd(::memfd_create("assignments", MFD_CLOEXEC));
    if (!fd.valid()) return ErrnoStatus(errno, "memfd_create", NameOf(folder));
    return fd;
  }
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid()) return fd;
  const absl::Status cause = ErrnoStatus(errno, "open O_TMPFILE", NameOf(folder));
  if (errno != EOPNOTSUPP && errno != EISDIR) return cause;
  return absl::FailedPreconditionError(
      Cat(std::string(cause.message()),
          ": the state folder must be on a file system with files without names (ext4, xfs, btrfs, "
          "tmpfs)"));
}

absl::Status ReadSlots(int fd, const std::string& folder, uint64_t index, LedgerFile::Slot* out,
                       size_t slots) {
  auto* at = reinterpret_cast<char*>(out);
  size_t left = slots * sizeof(LedgerFile::Slot);
  auto offset = static_cast<off_t>(index * sizeof(LedgerFile::Slot));
  while (left > 0) {
    const ssize_t n = ::pread(fd, at, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read", NameOf(folder));
    if (n == 0) return absl::DataLossError(Cat(NameOf(folder), ": the file has shrunk"));
    at += n;
    offset += n;
    left -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status WriteSlots(int fd, const std::string& folder, uint64_t index,
                        const LedgerFile::Slot* in, size_t slots) {
  const auto* at = reinterpret_cast<const char*>(in);
  size_t left = slots * sizeof(LedgerFile::Slot);
  auto offset = static_cast<off_t>(index * sizeof(LedgerFile::Slot));
  while (left > 0) {
    const ssize_t n = ::pwrite(fd, at, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENOSPC) {
      return absl::ResourceExhaustedError(ErrnoStatus(errno, "write", NameOf(folder)).message());
    }
    if (n < 0) return ErrnoStatus(errno, "write", NameOf(folder));
    at += n;
    offset += n;
    left -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<LedgerFile::Table> LedgerFile::MakeTable(unsigned bits) const {
  Table table;
  table.bits = bits;
  ASSIGN_OR_RETURN(table.fd, OpenNamelessFile(folder_));
  const auto octets = static_cast<off_t>(SlotsOf(bits) * sizeof(Slot));
  if (const int error = ::posix_fallocate(table.fd.get(), 0, octets); error != 0) {
    const absl::Status cause =
        ErrnoStatus(error, Cat("reserve ", octets, " octets for"), NameOf(folder_));
    return error == ENOSPC || error == EFBIG || error == EDQUOT
               ? absl::ResourceExhaustedError(cause.message())
               : cause;
  }
  return table;
}

// nullopt when neither the key nor a free slot is within reach.
absl::StatusOr<std::optional<LedgerFile::Place>> LedgerFile::Probe(const Table& table,
                                                                   const Key& key) const {
  const uint64_t home = Home(key, table.bits);
  std::array<Slot, kProbe> slots;
  for (uint64_t at = home; at < home + kSpill; at += kProbe) {
    RETURN_IF_ERROR(ReadSlots(table.fd.get(), folder_, at, slots.data(), slots.size()));
    for (size_t i = 0; i < slots.size(); ++i) {
      if (slots[i].key == key) return Place{at + i, true, slots[i]};
      if (!IsFree(slots[i])) continue;
      Place place{at + i, false, {}};
      place.slot.key = key;
      return place;
    }
  }
  return std::nullopt;
}

absl::StatusOr<LedgerFile::Place> LedgerFile::Find(const Key& key) {
  if (!table_.fd.valid()) {
    ASSIGN_OR_RETURN(table_, MakeTable(kFirstBits));
  }
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<Place> place, Probe(table_, key));
    const bool room = used_ < RoomOf(table_.bits);
    if (place && (place->found || room)) return *place;
    RETURN_IF_ERROR(Grow());
  }
}

absl::Status LedgerFile::Put(const Place& place) {
  RETURN_IF_ERROR(WriteSlots(table_.fd.get(), folder_, place.index, &place.slot, 1));
  if (!place.found) ++used_;
  return absl::OkStatus();
}

absl::Status LedgerFile::Grow() {
  ASSIGN_OR_RETURN(Table larger, MakeTable(table_.bits + 1));
  RETURN_IF_ERROR(Move(table_, larger));
  table_ = std::move(larger);
  return absl::OkStatus();
}

// One pass over both files, in order: what is at index i of the old one goes near 2i of the new one,
// so that a window of a few hundred kilobytes is all of the new one that is ever in memory.
absl::Status LedgerFile::Move(const Table& from, const Table& to) const {
  constexpr uint64_t kChunk = 1024;                      // slots of the old file at a time
  constexpr uint64_t kWindow = 2 * kChunk + 4 * kSpill;  // slots of the new one
  const uint64_t from_slots = SlotsOf(from.bits), to_slots = SlotsOf(to.bits);
  std::vector<Slot> chunk(kChunk), window(kWindow);
  uint64_t window_at = 0;  // index of window[0] in the new file
  for (uint64_t at = 0; at < from_slots; at += kChunk) {
    // Nothing more goes in front of where a slot of this chunk may want to be.
    const uint64_t first = 2 * (at - std::min(at, kSpill));
    const uint64_t done = first - window_at;
    RETURN_IF_ERROR(WriteSlots(to.fd.get(), folder_, window_at, window.data(), done));
    std::move(window.begin() + static_cast<ptrdiff_t>(done), window.end(), window.begin());
    std::fill(window.end() - static_cast<ptrdiff_t>(done), window.end(), Slot{});
    window_at = first;

    const size_t read = static_cast<size_t>(std::min(kChunk, from_slots - at));
    RETURN_IF_ERROR(ReadSlots(from.fd.get(), folder_, at, chunk.data(), read));
    for (size_t i = 0; i < read; ++i) {
      if (IsFree(chunk[i])) continue;
      uint64_t index = Home(chunk[i].key, to.bits) - window_at;
      const uint64_t reach = index + kSpill;
      while (index < reach && !IsFree(window[index])) ++index;
      if (index == reach) return TooManyAlike(folder_);
      window[index] = chunk[i];
    }
  }
  const uint64_t rest = std::min<uint64_t>(kWindow, to_slots - window_at);
  return WriteSlots(to.fd.get(), folder_, window_at, window.data(), rest);
}

// Each part fills a window of its own, and what spills over its end begins the next.
absl::Status LedgerFile::Build(
    uint64_t at_most, const std::function<absl::Status(size_t number, const Take& take)>& parts) {
  unsigned bits = kFirstBits;
  while (at_most >= RoomOf(bits)) ++bits;
  ASSIGN_OR_RETURN(Table table, MakeTable(bits));
  const size_t part_slots = (size_t{1} << bits) / kParts;
  std::vector<Slot> window(part_slots + kSpill);
  uint64_t used = 0;
  for (size_t part = 0; part < kParts; ++part) {
    const uint64_t window_at = part * part_slots;
    const auto take = [&](const Slot& slot) {
      uint64_t index = Home(slot.key, bits) - window_at;
      const uint64_t reach = index + kSpill;
      while (index < reach && !IsFree(window[index]) && window[index].key != slot.key) ++index;
      if (index == reach) return TooManyAlike(folder_);
      Slot& into = window[index];
      if (IsFree(into)) ++used;
      into.key = slot.key;
      if (into.body == decltype(into.body){}) into.body = slot.body;
      if (slot.result != decltype(slot.result){}) into.result = slot.result;
      return absl::OkStatus();
    };
    RETURN_IF_ERROR(parts(part, take));
    const size_t whole = part + 1 == kParts ? window.size() : part_slots;
    RETURN_IF_ERROR(WriteSlots(table.fd.get(), folder_, window_at, window.data(), whole));
    std::move(window.begin() + static_cast<ptrdiff_t>(part_slots), window.end(), window.begin());
    // With small parts the two overlap: only what was not moved to is cleared.
    std::fill(window.begin() + static_cast<ptrdiff_t>(kSpill), window.end(), Slot{});
  }
  table_ = std::move(table);
  used_ = used;
  return absl::OkStatus();
}

}  // namespace auspex::keyd
