// SPDX-License-Identifier: AGPL-3.0-only
// Every vector file of wire protocol section 12, every vector, octet for octet. Other files of the
// same form are taken from AUSPEX_VECTORS_DIR.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/wire/base_url.h"
#include "common/wire/http_signature.h"
#include "common/wire/manifest.h"
#include "common/wire/result.h"
#include "tests/common/test_data.h"

namespace auspex {
namespace {

using testing::Base64Of;
using testing::IntegerOf;
using testing::MemberOf;
using testing::ReadVectors;
using testing::SignWithSeed;
using testing::StringOf;

// Vectors test the functions, not the limits that daemons put on them.
constexpr JsonLimits kVectorLimits{
    .max_octets = 64 * 1024 * 1024, .max_depth = kMaxJsonDepth, .max_values = 10'000'000};

// Calls `check` with the inputs and expectations of each vector of `file` whose "object" is
// `object` ("" = all), and with the vector itself. Returns how many there were, after the file's
// own count was compared.
template <typename Check>
size_t ForEachVector(std::string_view file, std::string_view format, std::string_view object,
                     Check check) {
  const JsonValue root = ReadVectors(file);
  EXPECT_EQ(StringOf(root, "format"), format);
  const JsonArray* vectors = MemberOf(root, "vectors").as_array();
  if (vectors == nullptr) {
    ADD_FAILURE() << file << " has no vectors";
    return 0;
  }
  EXPECT_EQ(static_cast<size_t>(IntegerOf(root, "count")), vectors->size());
  EXPECT_GT(vectors->size(), 0u);
  size_t seen = 0;
  for (const JsonValue& vector : *vectors) {
    if (!object.empty() && StringOf(vector, "object") != object) continue;
    SCOPED_TRACE(Cat(StringOf(vector, "id"), ": ", StringOf(vector, "note")));
    check(MemberOf(vector, "inputs"), MemberOf(vector, "expected"), vector);
    ++seen;
  }
  return seen;
}

// Signs with the vector's seed, compares, and verifies under the vector's key.
void CheckSignature(const JsonValue& inputs, std::string_view message,
                    std::string_view expected_base64) {
  const std::string signature = SignWithSeed(StringOf(inputs, "seed_hex"), message);
  EXPECT_EQ(Base64Encode(signature), expected_base64);
  const auto key = HexDecode(StringOf(inputs, "pubkey_hex"));
  ASSERT_TRUE(key.has_value());
  EXPECT_TRUE(Ed25519Verify(*key, message, signature));
  EXPECT_FALSE(Ed25519Verify(*key, Cat(message, "x"), signature));
}

TEST(Vectors, HttpSignature) {
  size_t derived = 0;
  const size_t seen = ForEachVector(
      "http_signature.json", "http_signature/1", "",
      [&](const JsonValue& inputs, const JsonValue& expected, const JsonValue& vector) {
        SignedParts parts{.method = StringOf(inputs, "method"),
                          .path = StringOf(inputs, "path"),
                          .authority = StringOf(inputs, "authority"),
                          .content_digest = std::nullopt,
                          .created = IntegerOf(inputs, "created"),
                          .keyid = StringOf(inputs, "pubkey_hex")};
        if (*MemberOf(vector, "on_wire").as_bool() && !MemberOf(inputs, "base_url").is_null()) {
          const auto url = BaseUrl::Parse(StringOf(inputs, "base_url"), AllowPlainHttpAnywhere());
          ASSERT_TRUE(url.ok()) << url.status();
          EXPECT_EQ(url->TargetOf(StringOf(inputs, "target")), parts.path);
          EXPECT_EQ(url->authority(), parts.authority);
          // What is signed below is what was derived, not what the file says.
          parts.path = url->TargetOf(StringOf(inputs, "target"));
          parts.authority = url->authority();
          ++derived;
        }
        const std::string body = Base64Of(inputs, "body_base64");
        if (!body.empty()) parts.content_digest = ContentDigestHeader(Sha256(body));
        if (MemberOf(expected, "content_digest").is_null()) {
          EXPECT_FALSE(parts.content_digest.has_value());
        } else {
          EXPECT_EQ(parts.content_digest, StringOf(expected, "content_digest"));
        }
        const std::string base = SignatureBase(parts);
        EXPECT_EQ(base, Base64Of(expected, "signature_base_base64"));
        EXPECT_EQ(SignatureInputHeader(parts), StringOf(expected, "signature_input"));
        const std::string header = StringOf(expected, "signature");
        EXPECT_EQ(SignatureHeader(SignWithSeed(StringOf(inputs, "seed_hex"), base)), header);
        ASSERT_TRUE(header.starts_with("sig1=:") && header.ends_with(":")) << header;
        CheckSignature(inputs, base, std::string_view(header).substr(6, header.size() - 7));
      });
  EXPECT_GT(seen, 0u);
  EXPECT_GT(derived, 0u);
}

std::map<std::string, std::string> WeightsOf(const JsonValue& inputs) {
  std::map<std::string, std::string> out;
  if (const JsonObject* weights = MemberOf(inputs, "served_weights").as_object()) {
    for (const auto& [model, digest] : *weights) out[model] = *digest.as_string();
  }
  return out;
}

void CheckSignedObject(const JsonValue& inputs, const JsonValue& expected,
                       const std::string& canonical) {
  EXPECT_EQ(canonical, Base64Of(expected, "canonical_base64"));
  EXPECT_EQ(Sha256HexOf(canonical), StringOf(expected, "canonical_sha256"));
  EXPECT_TRUE(CheckCanonicalObject(canonical, kVectorLimits).ok());
  CheckSignature(inputs, canonical, StringOf(expected, "signature_base64"));
}

TEST(Vectors, ResultSignature) {
  const size_t seen = ForEachVector(
      "result_signature.json", "result_signature/1", "result",
      [](const JsonValue& inputs, const JsonValue& expected, const JsonValue&) {
        const auto payload = ReadJson(Base64Of(inputs, "payload_json_base64"), kVectorLimits);
        ASSERT_TRUE(payload.ok()) << payload.status();
        const std::string canonical_payload = WriteCanonical(*payload);
        EXPECT_TRUE(CheckCanonicalObject(canonical_payload, kVectorLimits).ok());
        const JsonValue& ran_under = MemberOf(inputs, "ran_under");
        const auto canonical = CanonicalResult(
            {.unit_id = StringOf(inputs, "unit_id"),
             .worker_pubkey = StringOf(inputs, "pubkey_hex"),
             .completed_at = StringOf(inputs, "completed_at"),
             .exit_code = IntegerOf(inputs, "exit_code"),
             .canonical_payload = canonical_payload,
             .schema_version = static_cast<int>(IntegerOf(inputs, "schema_version")),
             .served_weights = WeightsOf(inputs),
             .ran_under = ran_under.is_null() ? "" : *ran_under.as_string()});
        ASSERT_TRUE(canonical.ok()) << canonical.status();
        CheckSignedObject(inputs, expected, *canonical);
      });
  EXPECT_GT(seen, 0u);
}

TEST(Vectors, RawTextSignature) {
  const size_t seen =
      ForEachVector("result_signature.json", "result_signature/1", "raw_response",
                    [](const JsonValue& inputs, const JsonValue& expected, const JsonValue&) {
                      const auto canonical = CanonicalRawText(
                          StringOf(inputs, "unit_id"), StringOf(inputs, "pubkey_hex"),
                          Base64Of(inputs, "raw_response_base64"));
                      ASSERT_TRUE(canonical.ok()) << canonical.status();
                      CheckSignedObject(inputs, expected, *canonical);
                    });
  EXPECT_GT(seen, 0u);
}

TEST(Vectors, ManifestHash) {
  const size_t seen = ForEachVector(
      "content_hash.json", "content_hash/1", "manifest_sha256",
      [](const JsonValue& inputs, const JsonValue& expected, const JsonValue&) {
        const auto manifest = ReadJson(Base64Of(inputs, "manifest_json_base64"), kVectorLimits);
        ASSERT_TRUE(manifest.ok()) << manifest.status();
        EXPECT_EQ(WriteCanonical(*manifest), Base64Of(expected, "canonical_base64"));
        EXPECT_EQ(ManifestSha256(*manifest).str(), StringOf(expected, "sha256"));
      });
  EXPECT_GT(seen, 0u);
}

TEST(Vectors, PackageDigest) {
  const size_t seen = ForEachVector(
      "content_hash.json", "content_hash/1", "package_sha256",
      [](const JsonValue& inputs, const JsonValue& expected, const JsonValue&) {
        std::map<std::string, std::string> files;
        for (const JsonValue& file : *MemberOf(inputs, "files").as_array()) {
          files[StringOf(file, "path")] = Sha256HexOf(Base64Of(file, "content_base64"));
        }
        EXPECT_EQ(auspex::PackageDigest(files).str(), StringOf(expected, "sha256"));
      });
  EXPECT_GT(seen, 0u);
}

// Nothing in a file may escape the tests above: an object that they do not know would pass unseen.
TEST(Vectors, EveryObjectIsKnown) {
  const auto known = [](std::string_view file, std::string_view format,
                        std::initializer_list<std::string_view> objects) {
    ForEachVector(file, format, "",
                  [&](const JsonValue&, const JsonValue&, const JsonValue& vector) {
                    EXPECT_NE(std::find(objects.begin(), objects.end(), StringOf(vector, "object")),
                              objects.end());
                  });
  };
  known("result_signature.json", "result_signature/1", {"result", "raw_response"});
  known("content_hash.json", "content_hash/1", {"manifest_sha256", "package_sha256"});
}

}  // namespace
}  // namespace auspex
