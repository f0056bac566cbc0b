// SPDX-License-Identifier: AGPL-3.0-only
// Receipts: the example of coordinator section 15 octet for octet, and every way in which one may
// not be taken (P15).
#include "common/receipt/receipt.h"

#include <gtest/gtest.h>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "common/receipt/cbor.h"
#include "tests/common/test_data.h"

namespace auspex {
namespace {

constexpr char kSeed[] = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
constexpr char kSigner[] = "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7";
constexpr char kWorker[] = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

constexpr char kEnvelopeHex[] =
    "845846a201270458403239616362616531343162636361663062323265316139346433346430626337333631653532"
    "36"
    "64306266653132633839373934626339333232393636646437a059029fa4655f74797065782368747470733a2f2f77"
    "77"
    "772e696e2d746f746f2e696f2f53746174656d656e742f7631677375626a65637481a2646e616d6578226175737065"
    "78"
    "61693a726563656970742f726370742d41414141414141414141414166646967657374a16673686132353678403230"
    "33"
    "6264633037373837326162613966333632373432333837353962643734653530623333623861633533626431386330"
    "37"
    "36386565663164356239666637697072656469636174655901afa86776657273696f6e63302e316974656e616e745f"
    "69"
    "64636c61626b74696d655f77696e646f77a263656e64c074323032362d30372d31395431323a30303a30315a657374"
    "61"
    "7274c0781b323032362d30372d31395431323a30303a30302e3235303030305a6d6578706572696d656e745f696467"
    "65"
    "78702d6f6e656d776f726b5f756e69745f6964738163752d316d776f726b65725f7075626b6579582003a107bff3ce"
    "10"
    "be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b87071756f72756d5f61677265656d656e74a3666d6574"
    "68"
    "6f64766275696c74696e5f686173685f61677265656d656e74706167726565696e675f776f726b6572730272726570"
    "6c"
    "69636174696f6e5f666163746f720273726573756c745f686173685f616e63686f727381a36d726573756c745f7368"
    "61"
    "3235367840336361623133656237623565646234653361636233646637363639343338303437346463666430633330"
    "66"
    "3531393135353530316237383265623665363431666f72656b6f725f6c6f675f696e646578007072656b6f725f656e"
    "74"
    "72795f75756964716c61622d6d6f64652d6e6f2d72656b6f726d70726564696361746554797065782368747470733a"
    "2f"
    "2f61757370657861692e6e6574776f726b2f726563656970742f7630584066e864608fbea2a5e88315edd4b3312ffd"
    "f3"
    "58101e1c7aead65fccb66064e3e5377c4fd893209fd4c88f251c3b93c8bd035e1d03d2e14ee3f833c5d122b0ee0f";

Receipt Example() {
  Receipt receipt;
  receipt.tenant_id = "lab";
  receipt.experiment_id = "exp-one";
  receipt.worker_pubkey = HexDecode(kWorker).value();
  receipt.work_unit_ids = {"u-1"};
  receipt.window_start = "2026-07-19T12:00:00.250000Z";
  receipt.window_end = "2026-07-19T12:00:01Z";
  receipt.replication_factor = 2;
  receipt.agreeing_workers = 2;
  receipt.method = "builtin_hash_agreement";
  receipt.anchors = {
      {0, "lab-mode-no-rekor", "3cab13eb7b5edb4e3acb3df76694380474dcfd0c30f519155501b782eb6e641f"}};
  return receipt;
}

std::string Sign(std::string_view message) { return testing::SignWithSeed(kSeed, message); }
std::string Envelope(std::string_view payload) { return EncodeEnvelope(payload, kSigner, Sign); }
absl::Status StatusOf(std::string_view envelope) { return ParseReceipt(envelope).status(); }
// The status of a well signed envelope around `body` in a fitting statement.
absl::Status StatusOfBody(const CborValue& body) {
  return StatusOf(Envelope(EncodeStatement("rcpt-AAAAAAAAAAAA", body.Encode())));
}

// The example's body with member `name` set to `value`, or left out.
CborValue BodyWith(std::string_view name, std::optional<CborValue> value) {
  const CborValue body = DecodeCbor(EncodeReceiptBody(Example())).value();
  CborValue::Members members;
  for (const char* key : {"version", "tenant_id", "experiment_id", "worker_pubkey", "work_unit_ids",
                          "time_window", "quorum_agreement", "result_hash_anchors"}) {
    if (key != name) members.emplace_back(CborValue::Text(key), *body.Find(key));
  }
  if (value.has_value()) members.emplace_back(CborValue::Text(name), *value);
  return CborValue::Map(std::move(members));
}

TEST(Receipt, IsWrittenAsInTheSpecification) {
  const std::string body = EncodeReceiptBody(Example());
  EXPECT_EQ(body.size(), 431u);
  const std::string statement = EncodeStatement("rcpt-AAAAAAAAAAAA", body);
  EXPECT_EQ(statement.size(), 671u);
  const std::string statement_hash = Sha256HexOf(statement);
  EXPECT_EQ(statement_hash.substr(0, 8), "86c26039");
  EXPECT_EQ(statement_hash.substr(58), "010ec8");
  const std::string envelope = Envelope(statement);
  EXPECT_EQ(HexEncode(envelope), kEnvelopeHex);
  EXPECT_EQ(Sha256HexOf(envelope),
            "86c53f9817413278663133d3c1c2a8d8e5e7fc35166f7547db4ca055640dc850");
}

TEST(Receipt, OfTheSpecificationIsRead) {
  const auto parsed = ParseReceipt(HexDecode(kEnvelopeHex).value());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->signer_pubkey_hex, kSigner);
  EXPECT_EQ(parsed->receipt_id, "rcpt-AAAAAAAAAAAA");
  EXPECT_EQ(EncodeReceiptBody(parsed->receipt), EncodeReceiptBody(Example()));
  EXPECT_EQ(HexEncode(parsed->receipt.worker_pubkey), kWorker);
  EXPECT_EQ(parsed->receipt.window_start, "2026-07-19T12:00:00.250000Z");
  ASSERT_EQ(parsed->receipt.anchors.size(), 1u);
  EXPECT_EQ(parsed->receipt.anchors[0].rekor_entry_uuid, "lab-mode-no-rekor");
}

TEST(Receipt, BareBodyIsReadToo) {
  const auto parsed = ParseReceipt(Envelope(EncodeReceiptBody(Example())));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->receipt_id, "");
  EXPECT_EQ(parsed->receipt.work_unit_ids, std::vector<std::string>{"u-1"});
}

TEST(Receipt, PlainTextTimesAreReadToo) {
  const CborValue window =
      CborValue::Map({{CborValue::Text("start"), CborValue::Text("2026-07-19T12:00:00Z")},
                      {CborValue::Text("end"), CborValue::Text("2026-07-19T12:00:01.5+02:00")}});
  EXPECT_TRUE(StatusOfBody(BodyWith("time_window", window)).ok());
}

// One changed bit anywhere: never accepted.
TEST(Receipt, EveryFlippedBitIsRefused) {
  const std::string good = HexDecode(kEnvelopeHex).value();
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      ASSERT_FALSE(StatusOf(bad).ok()) << "octet " << at << " bit " << bit;
    }
  }
}

TEST(Receipt, EveryTruncationAndTrailingOctetsAreRefused) {
  const std::string good = HexDecode(kEnvelopeHex).value();
  for (size_t length = 0; length < good.size(); ++length) {
    ASSERT_EQ(StatusOf(good.substr(0, length)).code(), absl::StatusCode::kInvalidArgument)
        << length;
  }
  EXPECT_EQ(StatusOf(good + '\0').code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf("\xd2" + good).code(), absl::StatusCode::kInvalidArgument);  // tag 18
}

TEST(Receipt, SizeIsBounded) {
  Receipt big = Example();
  big.tenant_id = std::string(kMaxReceiptOctets, 'x');
  EXPECT_EQ(StatusOf(Envelope(EncodeReceiptBody(big))).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Receipt, SignatureMustBeOfTheNamedKey) {
  const std::string statement = EncodeStatement("rcpt-AAAAAAAAAAAA", EncodeReceiptBody(Example()));
  EXPECT_EQ(StatusOf(EncodeEnvelope(statement, kWorker, Sign)).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(StatusOf(EncodeEnvelope(statement, kSigner,
                                    [](std::string_view) { return std::string(64, '\0'); }))
                .code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(
      StatusOf(EncodeEnvelope(statement, kSigner, [](std::string_view m) { return Sign(m) + "x"; }))
          .code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf(EncodeEnvelope(
                         statement,
                         "29ACBAE141BCCAF0B22E1A94D34D0BC7361E526D0BFE12C89794BC9322966DD7", Sign))
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf(EncodeEnvelope(statement, "", Sign)).code(),
            absl::StatusCode::kInvalidArgument);
}

// Signs an envelope whose parts are given as they are.
absl::Status StatusOfParts(const CborValue& header, const CborValue& unprotected,
                           const CborValue& payload) {
  const std::string octets = header.Encode();
  const std::string to_sign =
      CborValue::Array(
          {CborValue::Text("Signature1"), CborValue::Bytes(octets), CborValue::Bytes(""), payload})
          .Encode();
  return StatusOf(CborValue::Array({CborValue::Bytes(octets), unprotected, payload,
                                    CborValue::Bytes(Sign(to_sign))})
                      .Encode());
}

TEST(Receipt, HeadersMustBeThoseOfTheProfile) {
  const auto entry = [](int64_t label, CborValue value) {
    return std::pair(CborValue::Integer(label), std::move(value));
  };
  const CborValue payload = CborValue::Bytes(EncodeReceiptBody(Example()));
  const CborValue none = CborValue::Map({});
  const auto alg = entry(1, CborValue::Integer(-8));
  const auto kid = entry(4, CborValue::Bytes(kSigner));
  ASSERT_TRUE(StatusOfParts(CborValue::Map({alg, kid}), none, payload).ok());
  const auto refused = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(
      StatusOfParts(CborValue::Map({entry(1, CborValue::Integer(-7)), kid}), none, payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Map({kid}), none, payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Map({alg}), none, payload)));
  EXPECT_TRUE(refused(
      StatusOfParts(CborValue::Map({alg, entry(4, CborValue::Text(kSigner))}), none, payload)));
  EXPECT_TRUE(refused(
      StatusOfParts(CborValue::Map({alg, kid, entry(2, CborValue::Array({}))}), none, payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Array({}), none, payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Map({alg, kid}), CborValue::Map({alg}), payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Map({alg, kid}), CborValue::Array({}), payload)));
  EXPECT_TRUE(refused(StatusOfParts(CborValue::Map({alg, kid}), none, CborValue())));
  EXPECT_TRUE(refused(StatusOf(CborValue::Array({}).Encode())));
}

TEST(Receipt, StatementMustFitItsBody) {
  const std::string body = EncodeReceiptBody(Example());
  const auto text = [](std::string_view t) { return CborValue::Text(t); };
  struct Parts {
    std::string type = "https://www.in-toto.io/Statement/v1";
    std::string predicate_type = "https://auspexai.network/receipt/v0";
    std::string name = "auspexai:receipt/rcpt-AAAAAAAAAAAA";
    std::string digest;
    size_t subjects = 1;
  };
  const auto status = [&](const Parts& p) {
    const CborValue subject =
        CborValue::Map({{text("name"), text(p.name)},
                        {text("digest"), CborValue::Map({{text("sha256"), text(p.digest)}})}});
    return StatusOf(Envelope(
        CborValue::Map(
            {{text("_type"), text(p.type)},
             {text("subject"), CborValue::Array(std::vector<CborValue>(p.subjects, subject))},
             {text("predicateType"), text(p.predicate_type)},
             {text("predicate"), CborValue::Bytes(body)}})
            .Encode()));
  };
  const std::string digest = Sha256HexOf(body);
  EXPECT_TRUE(status({.digest = digest}).ok());
  EXPECT_EQ(status({.digest = Sha256HexOf("other")}).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status({.type = "https://in-toto.io/Statement/v0.1", .digest = digest}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      status({.predicate_type = "https://auspexai.network/result-set/v1", .digest = digest}).code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.name = "auspexai:result-set/att-1", .digest = digest}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.name = "auspexai:receipt/../x", .digest = digest}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.name = "auspexai:receipt/", .digest = digest}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.digest = digest, .subjects = 0}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({.digest = digest, .subjects = 2}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Receipt, BodyMembersAreAllRequiredAndChecked) {
  const std::string key(32, 'k');
  for (const char* name :
       {"version", "tenant_id", "experiment_id", "worker_pubkey", "work_unit_ids", "time_window",
        "quorum_agreement", "result_hash_anchors"}) {
    const absl::Status missing = StatusOfBody(BodyWith(name, std::nullopt));
    EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_NE(std::string(missing.message()).find(name), std::string::npos) << missing;
    EXPECT_EQ(StatusOfBody(BodyWith(name, CborValue::Bool(true))).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
  ASSERT_TRUE(StatusOfBody(BodyWith("worker_pubkey", CborValue::Bytes(key))).ok());
  const auto refused = [](std::string_view name, CborValue value) {
    return StatusOfBody(BodyWith(name, std::move(value))).code() ==
           absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused("version", CborValue::Text("0.2")));
  EXPECT_TRUE(refused("worker_pubkey", CborValue::Bytes(key + "x")));
  EXPECT_TRUE(refused("worker_pubkey", CborValue::Text(key)));
  EXPECT_TRUE(refused("work_unit_ids", CborValue::Array({})));
  EXPECT_TRUE(refused("work_unit_ids", CborValue::Array({CborValue::Integer(1)})));
  EXPECT_TRUE(refused("unknown", CborValue::Integer(1)));
  const CborValue time = CborValue::Tag(0, CborValue::Text("2026-07-19T12:00:01Z"));
  const auto window = [&](CborValue start) {
    return CborValue::Map(
        {{CborValue::Text("start"), std::move(start)}, {CborValue::Text("end"), time}});
  };
  ASSERT_FALSE(refused("time_window", window(time)));
  EXPECT_TRUE(refused("time_window", window(CborValue::Text("yesterday"))));
  EXPECT_TRUE(refused("time_window", window(CborValue::Tag(1, CborValue::Integer(0)))));
  const auto agreement = [&](int64_t factor) {
    return CborValue::Map({{CborValue::Text("replication_factor"), CborValue::Integer(factor)},
                           {CborValue::Text("agreeing_workers"), CborValue::Integer(1)},
                           {CborValue::Text("method"), CborValue::Text("x")}});
  };
  ASSERT_FALSE(refused("quorum_agreement", agreement(0)));
  EXPECT_TRUE(refused("quorum_agreement", agreement(-1)));
  const auto anchors = [&](std::string_view hash) {
    return CborValue::Array(
        {CborValue::Map({{CborValue::Text("rekor_log_index"), CborValue::Integer(1)},
                         {CborValue::Text("rekor_entry_uuid"), CborValue::Text("")},
                         {CborValue::Text("result_sha256"), CborValue::Text(hash)}})});
  };
  ASSERT_FALSE(refused("result_hash_anchors", anchors(std::string(64, 'a'))));
  EXPECT_TRUE(refused("result_hash_anchors", anchors(std::string(63, 'a'))));
  EXPECT_TRUE(refused("result_hash_anchors", anchors(std::string(64, 'g'))));
  EXPECT_TRUE(refused("result_hash_anchors", CborValue::Array({CborValue::Integer(1)})));
}

}  // namespace
}  // namespace auspex
