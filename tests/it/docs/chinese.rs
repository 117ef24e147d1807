//! The README in Chinese says what the English one says, as far as that can be compared: the same
//! metrics, flags, keys, numbers of tables' rows, commands and configurations.

use std::collections::BTreeSet;

use super::names::{flags, metrics};
use super::page::Page;

fn both() -> [Page; 2] {
    ["README.md", "README.zh-CN.md"].map(Page::read)
}

/// A block without its comments, which are translated.
fn bare(block: &str) -> String {
    let lines = block
        .lines()
        .map(|line| line.split(" #").next().unwrap_or(line).trim_end());
    lines
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn both_readmes_name_the_same_metrics_flags_and_words_of_code() {
    let [english, chinese] = both();
    assert_eq!(metrics(&chinese.text), metrics(&english.text), "metrics");
    assert_eq!(flags(&chinese.text), flags(&english.text), "flags");
    let [english, chinese] = [&english, &chinese].map(|page| page.code().collect::<BTreeSet<_>>());
    assert_eq!(chinese, english, "what stands between backticks");
}

#[test]
fn both_readmes_have_the_same_commands_and_configurations() {
    let [english, chinese] = both().map(|page| {
        page.blocks()
            .into_iter()
            .map(|(kind, text)| (kind.to_owned(), bare(&text)))
            .collect::<Vec<_>>()
    });
    assert_eq!(chinese, english);
}

/// A link, where one to a help page of Alibaba Cloud counts as the same in both languages.
fn help_page(link: &str) -> String {
    let english = "https://www.alibabacloud.com/help/en/";
    let chinese = ["https://help.aliyun.com/zh/", "https://help.aliyun.com/"];
    let [zh, plain] = chinese.map(|start| link.strip_prefix(start));
    let page = zh.or(plain).or(link.strip_prefix(english));
    page.map_or(link.to_owned(), |page| {
        let digits: String = page.chars().filter(char::is_ascii_digit).collect();
        format!("help page {digits}")
    })
}

#[test]
fn both_readmes_have_the_same_form() {
    let [english, chinese] = both().map(|page| {
        let headings: Vec<_> = page
            .prose()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.split(' ').next().map(str::len))
            .collect();
        let rows: Vec<_> = page.rows().map(|row| row.len()).collect();
        let mut links: Vec<_> = page
            .links()
            .into_iter()
            .map(help_page)
            .map(|link| link.split('#').next().unwrap_or(&link).to_owned())
            .collect();
        links.retain(|link| !link.starts_with("README") && !link.is_empty());
        links.sort();
        (headings, rows, links)
    });
    assert_eq!(chinese, english, "headings, rows of tables, links");
}
