// SPDX-License-Identifier: AGPL-3.0-only
// Random values of the fields that keyd is given, good and bad ones, from a seed that a failing test
// prints. Written for the tests alone: nothing here is shared with what they test.
#ifndef AUSPEX_TESTS_KEYD_RANDOM_FIELDS_H_
#define AUSPEX_TESTS_KEYD_RANDOM_FIELDS_H_

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace auspex::keyd {

class RandomFields {
 public:
  // The seed of AUSPEX_TEST_SEED, or one from the system.
  RandomFields();
  uint64_t seed() const { return seed_; }

  // Evenly in lowest..highest.
  int64_t Number(int64_t lowest, int64_t highest);
  bool Chance(int percent) { return Number(1, 100) <= percent; }
  // `length` characters of `alphabet`.
  std::string Text(std::string_view alphabet, int64_t length);
  std::string Octets(int64_t length);

  // One path segment of unreserved characters, 1..128 of them, not "." or "..".
  std::string Segment();
  std::string UnitId();
  std::string Hex64();
  std::string ModelId();
  // A time in the form of wire protocol 4.2.
  std::string CompletedAt();
  // A canonical JSON object, some levels deep.
  std::string CanonicalObject(int depth = 0);

  // No segment, unit id or hash: empty, too long, a dot segment, or with a foreign octet in it.
  std::string BadSegment();
  std::string BadUnitId();
  std::string BadHex64();
  // Any number of octets but 32.
  std::string BadDigest();

 private:
  std::string WithForeignOctet(std::string text, std::string_view alphabet);
  std::string CanonicalString();
  std::string CanonicalValue(int depth);

  uint64_t seed_;
  std::mt19937_64 engine_;
};

// Base64 of the standard alphabet, with padding.
std::string PlainBase64(std::string_view octets);

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_RANDOM_FIELDS_H_
