// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/base_url.h"

#include <gtest/gtest.h>

#include <string>

namespace auspex {
namespace {

TEST(BaseUrl, NormalisesOnce) {
  struct Case {
    const char *text, *whole, *authority, *host, *prefix;
    uint16_t port;
  };
  const Case cases[] = {
      {"https://coord.auspexai.network", "https://coord.auspexai.network", "coord.auspexai.network",
       "coord.auspexai.network", "", 443},
      {"HTTPS://Coord.Example:443/", "https://coord.example", "coord.example", "coord.example", "",
       443},
      {"https://coord.example:80", "https://coord.example:80", "coord.example:80", "coord.example",
       "", 80},
      {"https://gw.example/auspex//", "https://gw.example/auspex", "gw.example", "gw.example",
       "/auspex", 443},
      {"https://gw.example/a/B-1._~", "https://gw.example/a/B-1._~", "gw.example", "gw.example",
       "/a/B-1._~", 443},
      {"http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", "", 8080},
      {"http://127.9.8.7", "http://127.9.8.7", "127.9.8.7", "127.9.8.7", "", 80},
      {"http://localhost:80/", "http://localhost", "localhost", "localhost", "", 80},
      {"http://LOCALHOST:8443", "http://localhost:8443", "localhost:8443", "localhost", "", 8443},
      {"http://[::1]:9000", "http://[::1]:9000", "[::1]:9000", "::1", "", 9000},
      {"https://[2001:DB8::7]", "https://[2001:db8::7]", "[2001:db8::7]", "2001:db8::7", "", 443},
      {"https://xn--bcher-kva.example:65535", "https://xn--bcher-kva.example:65535",
       "xn--bcher-kva.example:65535", "xn--bcher-kva.example", "", 65535},
  };
  for (const Case& c : cases) {
    const auto url = BaseUrl::Parse(c.text);
    ASSERT_TRUE(url.ok()) << c.text << ": " << url.status();
    EXPECT_EQ(url->str(), c.whole);
    EXPECT_EQ(url->authority(), c.authority);
    EXPECT_EQ(url->host(), c.host);
    EXPECT_EQ(url->prefix(), c.prefix);
    EXPECT_EQ(url->port(), c.port);
    EXPECT_EQ(BaseUrl::Parse(url->str())->str(), c.whole);
  }
}

TEST(BaseUrl, TargetHasThePrefixAndUrlOfTakesATarget) {
  const auto url = BaseUrl::Parse("https://gw.example/auspex/");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->TargetOf("/api/v0/x"), "/auspex/api/v0/x");
  EXPECT_EQ(url->UrlOf(url->TargetOf("/api/v0/x")), "https://gw.example/auspex/api/v0/x");
}

TEST(BaseUrl, RefusesWhatWouldBeReadInTwoWays) {
  const std::string cases[] = {"",
                               "coord.example",
                               "//coord.example",
                               "ftp://coord.example",
                               "https:/coord.example",
                               "https://",
                               "https:///x",
                               "https://user@coord.example",
                               "https://user:pw@coord.example",
                               "https://coord.example@evil.example/",
                               "https://coord.example?x=1",
                               "https://coord.example/?",
                               "https://coord.example/#f",
                               "https://coord.example#",
                               "https://coord.example:",
                               "https://coord.example:0",
                               "https://coord.example:65536",
                               "https://coord.example:+80",
                               "https://coord.example:8 0",
                               "https://coord.example:80x",
                               "https://coord.example:000443",
                               "https://co ord.example",
                               "https://coord_x.example",
                               "https://coord.ex\xc3\xa4mple",
                               "https://coord.example\\@evil.example",
                               "https://%63oord.example",
                               "https://.example",
                               "https://a..example",
                               "https://-a.example",
                               "https://127.1",
                               "https://2130706433",
                               "https://0x7f.1",
                               "https://256.1.1.1",
                               "https://1.2.3.4.5",
                               "https://[::1",
                               "https://[::1]x",
                               "https://[]",
                               "https://[1.2.3.4]",
                               "https://[fe80::1%25eth0]",
                               "https://[g::1]",
                               "https://::1",
                               "https://coord.example/a//b",
                               "https://coord.example/../x",
                               "https://coord.example/a/./b",
                               "https://coord.example/a%2fb",
                               "https://coord.example/a b",
                               "https://coord.example/a;b",
                               "https://coord.example/a\nb",
                               std::string("https://coord.example\0", 22),
                               " https://coord.example",
                               "https://" + std::string(254, 'a'),
                               "https://coord.example/" + std::string(3000, 'a')};
  for (const std::string& text : cases) {
    EXPECT_EQ(BaseUrl::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(BaseUrl, PlainHttpIsForLoopbackOnly) {
  for (const char* text :
       {"http://coord.example", "http://128.0.0.1", "http://10.0.0.1:80", "http://[2001:db8::7]",
        "http://localhost.example", "http://127.0.0.1.example", "http://[::ffff:127.0.0.1]",
        "http://0.0.0.0"}) {
    EXPECT_EQ(BaseUrl::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(BaseUrl::Parse(text, AllowPlainHttpAnywhere()).ok()) << text;
  }
}

TEST(BaseUrl, APasswordIsNotRepeatedInTheMessage) {
  const auto status = BaseUrl::Parse("https://user:hunter2@coord.example").status();
  EXPECT_EQ(std::string(status.message()).find("hunter2"), std::string::npos) << status;
}

}  // namespace
}  // namespace auspex
