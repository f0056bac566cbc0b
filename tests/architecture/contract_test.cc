// SPDX-License-Identifier: AGPL-3.0-only
// What the contracts in proto/ allow to be said at all, read from their descriptors. A field that
// breaks a promise of the signing boundary is found here before anybody implements it.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "auspex/keyd/v1/keyd.pb.h"
#include "auspex/netd/v1/netd.pb.h"
#include "auspex/runnerd/v1/runnerd.pb.h"
#include "auspex/stated/v1/stated.pb.h"

namespace auspex::architecture {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::MethodDescriptor;
using ::google::protobuf::ServiceDescriptor;
using ::testing::IsEmpty;

std::vector<const FileDescriptor*> Contracts() {
  return {keyd::v1::KeyStatus::descriptor()->file(), stated::v1::Status::descriptor()->file(),
          netd::v1::ConnectionStatus::descriptor()->file(),
          runnerd::v1::Layer::descriptor()->file()};
}

// Every field that a message can carry, those of its parts included.
void ForEachField(const Descriptor* message, std::set<const Descriptor*>& seen,
                  const std::function<void(const FieldDescriptor*)>& visit) {
  if (!seen.insert(message).second) return;
  for (int i = 0; i < message->field_count(); ++i) {
    visit(message->field(i));
    if (message->field(i)->message_type() != nullptr) {
      ForEachField(message->field(i)->message_type(), seen, visit);
    }
  }
}

void ForEachMethod(const FileDescriptor* file,
                   const std::function<void(const MethodDescriptor*)>& visit) {
  for (int s = 0; s < file->service_count(); ++s) {
    const ServiceDescriptor* service = file->service(s);
    for (int m = 0; m < service->method_count(); ++m) visit(service->method(m));
  }
}

// P2: keyd signs only what it composed. Octets may come in as a digest of fixed size or as the one
// payload that it checks.
TEST(Contract, NobodyHandsKeydOctetsToSign) {
  const std::set<std::string> digests = {"body_sha256", "raw_sha256"};
  const std::set<std::string> checked = {"auspex.keyd.v1.SignResultRequest.canonical_payload"};
  std::vector<std::string> others;
  int methods = 0;
  ForEachMethod(Contracts()[0], [&](const MethodDescriptor* method) {
    ++methods;
    std::set<const Descriptor*> seen;
    ForEachField(method->input_type(), seen, [&](const FieldDescriptor* field) {
      if (field->type() != FieldDescriptor::TYPE_BYTES) return;
      if (digests.contains(field->name()) || checked.contains(field->full_name())) return;
      others.push_back(field->full_name());
    });
  });
  EXPECT_GE(methods, 9);
  EXPECT_THAT(others, IsEmpty());
}

// P1: nothing that leaves keyd can hold the key. Octets that leave it are signatures and digests.
TEST(Contract, KeydHandsNoKeyOut) {
  const std::set<std::string> harmless = {"signature", "result_sha256", "journal_root", "digest",
                                          "leaf_hash"};
  std::vector<std::string> others;
  ForEachMethod(Contracts()[0], [&](const MethodDescriptor* method) {
    std::set<const Descriptor*> seen;
    ForEachField(method->output_type(), seen, [&](const FieldDescriptor* field) {
      const bool octets = field->type() == FieldDescriptor::TYPE_BYTES;
      const std::string& name = field->name();
      const bool named = name.find("private") != std::string::npos ||
                         name.find("secret") != std::string::npos ||
                         name.find("seed") != std::string::npos;
      if ((octets && !harmless.contains(name)) || named) others.push_back(field->full_name());
    });
  });
  EXPECT_THAT(others, IsEmpty());
}

// P2: no request says what is to be in the signed lines: method, path, authority and time are
// keyd's.
TEST(Contract, NobodyTellsKeydWhatToWriteInTheSignature) {
  const std::set<std::string> keyds = {
      "method", "path",    "authority", "created",        "url",
      "target", "headers", "keyid",     "signature_base", "message"};
  std::vector<std::string> found;
  std::set<const Descriptor*> seen;
  ForEachField(keyd::v1::SignRequestRequest::descriptor(), seen, [&](const FieldDescriptor* field) {
    if (keyds.contains(field->name())) found.push_back(field->full_name());
  });
  EXPECT_THAT(found, IsEmpty());
  // Exactly one intent: a request cannot ask for two things.
  const Descriptor* request = keyd::v1::SignRequestRequest::descriptor();
  EXPECT_EQ(request->oneof_decl_count(), 1);
  EXPECT_EQ(request->oneof_decl(0)->field_count(), request->field_count());
}

// netd cannot ask for a result to be signed, runnerd not for a request: the intents live in
// services of their own.
TEST(Contract, SigningIsSplitByRole) {
  const FileDescriptor* file = Contracts()[0];
  ASSERT_EQ(file->service_count(), 3);
  std::map<std::string, std::set<std::string>> methods;
  ForEachMethod(file, [&](const MethodDescriptor* method) {
    methods[method->service()->name()].insert(method->name());
  });
  using Set = std::set<std::string>;
  EXPECT_EQ(methods["RequestSigner"], (Set{"SignRequest", "GetIdentity"}));
  EXPECT_EQ(methods["ResultSigner"], (Set{"SignResult", "SignRawText"}));
  for (const char* act : {"OpenGrant", "SetEnrolment", "CreateKey", "DestroyKey"}) {
    EXPECT_TRUE(methods["KeyOwner"].contains(act)) << act;
  }
}

// stated is handed signatures, never the means to make them; nobody asks it for a key.
TEST(Contract, StatedAndTheOthersCarryNoSecrets) {
  std::vector<std::string> found;
  for (const FileDescriptor* file : Contracts()) {
    ForEachMethod(file, [&](const MethodDescriptor* method) {
      for (const Descriptor* message : {method->input_type(), method->output_type()}) {
        std::set<const Descriptor*> seen;
        ForEachField(message, seen, [&](const FieldDescriptor* field) {
          for (const char* mark : {"private_key", "secret", "passphrase", "access_token"}) {
            if (field->name().find(mark) != std::string::npos) found.push_back(field->full_name());
          }
        });
      }
    });
  }
  EXPECT_THAT(found, IsEmpty());
}

}  // namespace
}  // namespace auspex::architecture
