#pragma once

#include "toolkit/web_server.hpp"

#include <boost/property_tree/ptree.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The shop whose prices are looked up: its pages are made here, and come from a server of this
/// program. So nobody is bothered, and no network is needed.
namespace shop {

/// An article as a line of the crawler.
[[nodiscard]] std::string line_of(std::string_view article, std::string_view price);

/// The paths of the articles' pages, such as "/products/1".
[[nodiscard]] std::vector<std::string> paths(std::int64_t articles);
/// The lines that a crawler of these must print, sorted.
[[nodiscard]] std::vector<std::string> right_lines(std::int64_t articles);

/// A page, for who asks by POST and names his browser.
[[nodiscard]] std::optional<std::string> page(const demo::WebRequest& request);

/// What BeautifulSoup is in Python, as far as it is needed here, for pages that are XML, too.
class Soup {
public:
    /// \throws std::runtime_error when it is no such page
    explicit Soup(const std::string& html);
    /// The text of the first element that "tag.class" selects. \throws std::runtime_error
    [[nodiscard]] std::string select_one(std::string_view selector) const;

private:
    boost::property_tree::ptree tree_;
};

} // namespace shop
