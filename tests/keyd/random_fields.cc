// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/keyd/random_fields.h"

#include <cstdio>
#include <cstdlib>
#include <map>

#include "common/base/cat.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kWord =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
constexpr std::string_view kUnreserved =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~";
constexpr std::string_view kHex = "0123456789abcdefABCDEF";

uint64_t SeedOfThisRun() {
  if (const char* text = std::getenv("AUSPEX_TEST_SEED"); text != nullptr) {
    return std::strtoull(text, nullptr, 10);
  }
  return std::random_device()();
}

}  // namespace

RandomFields::RandomFields() : seed_(SeedOfThisRun()), engine_(seed_) {}

int64_t RandomFields::Number(int64_t lowest, int64_t highest) {
  return std::uniform_int_distribution<int64_t>(lowest, highest)(engine_);
}

std::string RandomFields::Text(std::string_view alphabet, int64_t length) {
  std::string text;
  for (int64_t i = 0; i < length; ++i) {
    text.push_back(
        alphabet[static_cast<size_t>(Number(0, static_cast<int64_t>(alphabet.size()) - 1))]);
  }
  return text;
}

std::string RandomFields::Octets(int64_t length) {
  std::string octets;
  for (int64_t i = 0; i < length; ++i) octets.push_back(static_cast<char>(Number(0, 255)));
  return octets;
}

std::string RandomFields::Segment() {
  while (true) {
    std::string text = Text(kUnreserved, Chance(20) ? Number(1, 3) : Number(1, 128));
    if (text != "." && text != "..") return text;
  }
}

std::string RandomFields::UnitId() { return Text(kWord, Number(1, 128)); }

std::string RandomFields::Hex64() { return Text(kHex, 64); }

std::string RandomFields::ModelId() {
  return Cat(Text(kWord, 1), Text("abcXYZ019._-", Number(0, 40)));
}

std::string RandomFields::CompletedAt() {
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", int(Number(1970, 2999)),
                int(Number(1, 12)), int(Number(1, 28)), int(Number(0, 23)), int(Number(0, 59)),
                int(Number(0, 59)));
  std::string out = text;
  if (Chance(70)) {
    std::snprintf(text, sizeof text, ".%06d", int(Number(1, 999'999)));
    out += text;
  }
  std::snprintf(text, sizeof text, "%c%02d:%02d", Chance(50) ? '+' : '-', int(Number(0, 13)),
                int(Number(0, 59)));
  // Minus nothing is not how a coordinator writes it.
  if (std::string_view(text) == "-00:00") text[0] = '+';
  return Cat(out, text);
}

std::string RandomFields::CanonicalString() {
  static constexpr const char* kPieces[] = {
      "\\\"",    "\\\\",           "\\b",     "\\f",     "\\n",     "\\r",
      "\\t",     "\\u0000",        "\\u001f", "\\u007f", "\\u00e9", "\\u2028",
      "\\uffff", "\\ud83d\\ude00", "\\ud800", "/",       " ",       "~"};
  std::string out = "\"";
  for (int64_t left = Number(0, 8); left > 0; --left) {
    out += Chance(40) ? kPieces[Number(0, std::size(kPieces) - 1)] : Text(kWord, Number(1, 6));
  }
  return Cat(out, "\"");
}

std::string RandomFields::CanonicalValue(int depth) {
  static constexpr const char* kNumbers[] = {"0",
                                             "-1",
                                             "1.0",
                                             "-0.0",
                                             "0.5",
                                             "1e+16",
                                             "1e-05",
                                             "5e-324",
                                             "1e+22",
                                             "0.0001",
                                             "1.2345678901234568e+16"};
  switch (Number(0, depth < 3 ? 7 : 5)) {
    case 0:
      return "true";
    case 1:
      return "false";
    case 2:
      return "null";
    case 3:
      return std::to_string(Number(-1'000'000'000'000, 1'000'000'000'000));
    case 4:
      return kNumbers[Number(0, std::size(kNumbers) - 1)];
    case 5:
      return CanonicalString();
    case 6: {
      std::string out;
      for (int64_t left = Number(0, 4); left > 0; --left) {
        if (!out.empty()) out += ",";
        out += CanonicalValue(depth + 1);
      }
      return Cat("[", out, "]");
    }
    default:
      return CanonicalObject(depth + 1);
  }
}

std::string RandomFields::CanonicalObject(int depth) {
  // Names of letters and digits sort as they are written.
  std::map<std::string, std::string> members;
  for (int64_t left = Number(0, 5); left > 0; --left) {
    members[Text(kWord, Number(0, 10))] = CanonicalValue(depth);
  }
  std::string out;
  for (const auto& [name, value] : members) {
    out += Cat(out.empty() ? "\"" : ",\"", name, "\":", value);
  }
  return Cat("{", out, "}");
}

std::string RandomFields::WithForeignOctet(std::string text, std::string_view alphabet) {
  char foreign = 0;
  do {
    foreign = static_cast<char>(Chance(50) ? "/?#%. \\\"\n"[Number(0, 8)] : Number(0, 255));
  } while (alphabet.find(foreign) != std::string_view::npos);
  text[static_cast<size_t>(Number(0, static_cast<int64_t>(text.size()) - 1))] = foreign;
  return text;
}

std::string RandomFields::BadSegment() {
  switch (Number(0, 4)) {
    case 0:
      return "";
    case 1:
      return Chance(50) ? "." : "..";
    case 2:
      return Text(kUnreserved, Number(129, 3000));
    default:
      return WithForeignOctet(Segment(), kUnreserved);
  }
}

std::string RandomFields::BadUnitId() {
  switch (Number(0, 3)) {
    case 0:
      return "";
    case 1:
      return Text(kWord, Number(129, 3000));
    default:
      return WithForeignOctet(UnitId(), kWord);
  }
}

std::string RandomFields::BadHex64() {
  if (Chance(50)) return WithForeignOctet(Hex64(), kHex);
  const int64_t length = Number(0, 200);
  return Text(kHex, length == 64 ? 63 : length);
}

std::string RandomFields::BadDigest() {
  const int64_t length = Chance(60) ? Number(28, 36) : Number(0, 5000);
  return Octets(length == 32 ? 33 : length);
}

std::string PlainBase64(std::string_view octets) {
  constexpr const char* kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : octets) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    for (; count >= 6; count -= 6) out.push_back(kAlphabet[bits >> (count - 6) & 63]);
  }
  if (count > 0) out.push_back(kAlphabet[bits << (6 - count) & 63]);
  while (out.size() % 4 != 0) out.push_back('=');
  return out;
}

}  // namespace auspex::keyd
