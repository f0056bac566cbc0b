// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/journal_rig.h"

#include <gtest/gtest.h>

#include <utility>

#include "common/base/cat.h"
#include "common/crypto/sha256.h"

namespace auspex::keyd {

JournalEntry EntryOf(int number) {
  JournalEntry entry;
  entry.caller = {Role::kRequest, 4000u + static_cast<uint32_t>(number), 0};
  entry.intent = Intent::kSubmitResult;
  entry.outcome = Outcome::kSigned;
  entry.time_micros = 1'716'000'000'000'000 + number;
  entry.created = 1'716'000'000 + number;
  entry.digest = ToDigest(Sha256(Cat("signed ", number)));
  entry.bound = ToDigest(Sha256(Cat("body ", number)));
  entry.subject = Cat("asg-", number);
  entry.unit = Cat("u-", number);
  return entry;
}

KeptJournal::KeptJournal(std::unique_ptr<Journal> opened,
                         std::chrono::milliseconds longest_uncovered)
    : journal(std::move(opened)),
      keys(KeyRing::InMemory(KeyOf(kSomeSeed), std::nullopt)),
      checkpointer(*journal, *keys, clock, longest_uncovered) {}

uint64_t KeptJournal::Append(int number) {
  const auto proof = journal->Append(EntryOf(number));
  if (!proof.ok()) return 0;
  EXPECT_EQ(proof->digest(), EntryOf(number).digest);
  if (journal->IsDue()) (void)checkpointer.Do(*journal->WaitUntilDue(std::chrono::hours(1)));
  return proof->sequence();
}

Files FilesOf(int records, const JournalOptions& options) {
  auto folder = std::make_unique<MemoryJournalFolder>();
  const MemoryJournalFolder* raw = folder.get();
  auto journal = Journal::Open(std::move(folder), options, 7, [](const JournalRecord&) {});
  if (!journal.ok()) return {};
  KeptJournal kept(*std::move(journal));
  for (int i = 1; i <= records; ++i) EXPECT_NE(kept.Append(i), 0u);
  return raw->files();
}

Opened OpenFiles(const Files& files) {
  Opened out;
  auto folder = std::make_unique<MemoryJournalFolder>(files);
  const MemoryJournalFolder* raw = folder.get();
  auto journal = Journal::Open(std::move(folder), kSmall, 8,
                               [&](const JournalRecord& r) { out.records.push_back(r); });
  out.status = journal.status();
  if (!journal.ok()) return out;
  out.torn = (*journal)->torn_octets();
  out.files = raw->files();
  return out;
}

namespace {
size_t Number(const std::string& octets, size_t at, size_t size) {
  size_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(octets[at + i]);
  return value;
}
}  // namespace

size_t HeaderOctets(const std::string& segment) { return Number(segment, 20, 4); }

std::vector<RawFrame> FramesOf(const std::string& segment) {
  std::vector<RawFrame> frames;
  for (size_t at = HeaderOctets(segment); at < segment.size();) {
    const size_t low = Number(segment, at, 2), high = Number(segment, at + 2, 2);
    EXPECT_EQ(low ^ high, 0xffffu);
    const size_t length = low & 0x7fff;
    frames.push_back({at, at + 4 + length + 32, segment.substr(at + 4, length)});
    at = frames.back().end;
  }
  return frames;
}

std::vector<std::string> SegmentsOf(const Files& files) {
  std::vector<std::string> names;
  for (const auto& [name, octets] : files) {
    if (name.ends_with(".log")) names.push_back(name);
  }
  return names;
}

}  // namespace auspex::keyd
