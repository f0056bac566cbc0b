// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/support/certificate.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>

namespace auspex::testing {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

File OpenNew(const std::string& path) { return File(std::fopen(path.c_str(), "w"), &std::fclose); }

}  // namespace

void MakeCertificate(const std::string& name, const std::string& cert_file,
                     const std::string& key_file) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("lab"), -1, -1, 0);
  X509_set_issuer_name(cert, X509_get_subject_name(cert));
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name.c_str());
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(cert, key, EVP_sha256());
  const File cert_out = OpenNew(cert_file), key_out = OpenNew(key_file);
  if (cert_out != nullptr && key_out != nullptr) {
    PEM_write_X509(cert_out.get(), cert);
    PEM_write_PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  } else {
    ADD_FAILURE() << "cannot write " << cert_file << " or " << key_file;
  }
  X509_free(cert);
  EVP_PKEY_free(key);
}

}  // namespace auspex::testing
