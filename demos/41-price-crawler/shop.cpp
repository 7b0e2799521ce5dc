#include "shop.hpp"

#include "toolkit/text.hpp"

#include <boost/property_tree/xml_parser.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <stdexcept>

namespace shop {
namespace {

struct Article {
    const char* name;
    int price;
};
constexpr std::array<Article, 8> kinds{{{"무선 마우스", 23'900},
                                        {"기계식 키보드", 89'000},
                                        {"27인치 모니터", 254'000},
                                        {"USB-C 허브", 34'500},
                                        {"노트북 거치대", 19'800},
                                        {"웹캠", 47'200},
                                        {"헤드셋", 61'000},
                                        {"SSD 1TB", 118'700}}};

std::string name_of(std::int64_t number) {
    const auto index = static_cast<std::size_t>(number - 1);
    const std::string kind = kinds[index % kinds.size()].name;
    return index < kinds.size() ? kind : fmt::format("{} {}", kind, index / kinds.size() + 1);
}
std::string price_of(std::int64_t number) {
    return demo::grouped(kinds[static_cast<std::size_t>(number - 1) % kinds.size()].price);
}

using boost::property_tree::ptree;

const ptree* find(const ptree& tree, const std::string& tag, const std::string& of_class) {
    for (const auto& [name, child] : tree) {
        if (name == tag && child.get("<xmlattr>.class", "") == of_class)
            return &child;
        if (const ptree* const found = find(child, tag, of_class))
            return found;
    }
    return nullptr;
}

} // namespace

std::string line_of(std::string_view article, std::string_view price) {
    return fmt::format("{}  :  {} 원 입니다.", article, price);
}

std::vector<std::string> paths(std::int64_t articles) {
    std::vector<std::string> all;
    for (std::int64_t i = 1; i <= articles; ++i)
        all.push_back(fmt::format("/products/{}", i));
    return all;
}

std::vector<std::string> right_lines(std::int64_t articles) {
    std::vector<std::string> lines;
    for (std::int64_t i = 1; i <= articles; ++i)
        lines.push_back(line_of(name_of(i), price_of(i)));
    std::sort(lines.begin(), lines.end());
    return lines;
}

std::optional<std::string> page(const demo::WebRequest& request) {
    const std::string folder = "/products/";
    std::int64_t number = 0;
    if (request.method != "POST" || !request.path.starts_with(folder))
        return std::nullopt;
    const char* const end = request.path.data() + request.path.size();
    const auto [stopped, error] = std::from_chars(request.path.data() + folder.size(), end, number);
    if (error != std::errc{} || stopped != end || number < 1)
        return std::nullopt;
    const auto browser = request.headers.find("user-agent");
    if (browser == request.headers.end() || !browser->second.starts_with("Mozilla/"))
        throw std::runtime_error("for browsers only"); // as many shops say
    return fmt::format(
        R"(<html><head><title>{0}</title></head>
<body><div class="product"><h2 class="title">{0}</h2>
<p class="stock">재고 있음</p><span class="total-price"><strong class="won">{1}</strong></span>
</div></body></html>)",
        name_of(number), price_of(number));
}

Soup::Soup(const std::string& html) {
    std::istringstream stream(html);
    boost::property_tree::read_xml(stream, tree_);
}

std::string Soup::select_one(std::string_view selector) const {
    const auto dot = std::min(selector.find('.'), selector.size() - 1);
    const ptree* const found =
        find(tree_, std::string(selector.substr(0, dot)), std::string(selector.substr(dot + 1)));
    if (found == nullptr)
        throw std::runtime_error(fmt::format("the page has no {}", selector));
    return found->data();
}

} // namespace shop
