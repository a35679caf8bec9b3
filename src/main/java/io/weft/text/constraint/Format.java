package io.weft.text.constraint;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The values of {@code format} that are enforced, each by an expression for texts that all validators take: years of
 * four digits from 1000 to 2999, no leap seconds, addresses without quotes and comments, and in domains of countries
 * and a few others.
 */
final class Format {
    private static final String DATE = "(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
            + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
            + "|(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29)";
    private static final String TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?"
            + "(?:Z|\\+(?:0[0-9]|1[0-3]):[0-5][0-9]" + "|-(?:(?:0[1-9]|1[0-3]):[0-5][0-9]|00:(?:0[1-9]|[1-5][0-9])))";
    private static final String LABEL = "[A-Za-z0-9]{1,12}(?:-[A-Za-z0-9]{1,12}){0,3}";
    private static final String OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    private static final String IPV4 = OCTET + "(?:\\." + OCTET + "){3}";
    private static final String GROUP = "[0-9a-fA-F]{1,4}";
    private static final String MONTHS = "[0-9]{1,4}M(?:[0-9]{1,4}D)?";
    private static final String MINUTES = "[0-9]{1,4}M(?:[0-9]{1,4}S)?";
    private static final String HOURS = "T(?:[0-9]{1,4}H(?:" + MINUTES + ")?|" + MINUTES + "|[0-9]{1,4}S)";
    private static final String DAYS = "(?:[0-9]{1,4}D|" + MONTHS + "|[0-9]{1,4}Y(?:" + MONTHS + ")?)";
    private static final String PATH = "[A-Za-z0-9._~!$&'()*+,;=:@-]";

    private static final Map<String, String> EXPRESSIONS = Map.ofEntries(
            Map.entry("date", DATE),
            Map.entry("time", TIME),
            Map.entry("date-time", DATE + "T" + TIME),
            Map.entry("duration", "P(?:" + DAYS + "(?:" + HOURS + ")?|" + HOURS + "|[0-9]{1,4}W)"),
            Map.entry("uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
            Map.entry(
                    "email",
                    "[A-Za-z0-9_]{1,12}(?:[.+-][A-Za-z0-9_]{1,12}){0,4}@(?:" + LABEL + "\\.){1,3}(?:" + topLevels()
                            + ")"),
            Map.entry("hostname", LABEL + "(?:\\." + LABEL + "){0,3}"),
            Map.entry("ipv4", IPV4),
            Map.entry("ipv6", ipv6()),
            Map.entry(
                    "uri",
                    "(?:https?|ftp)://" + LABEL + "(?:\\." + LABEL + "){0,3}(?::[1-9][0-9]{0,3})?(?:/" + PATH
                            + "*)*(?:\\?(?:" + PATH + "|/)*)?(?:#(?:" + PATH + "|/)*)?"));

    private Format() {}

    /** Validators know which there are. */
    private static String topLevels() {
        Set<String> without = Set.of("BL", "BQ", "EH", "GB", "MF", "SS", "UM");
        return Stream.concat(
                        Stream.of("com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "eu", "uk"),
                        Arrays.stream(Locale.getISOCountries())
                                .filter(country -> !without.contains(country))
                                .map(country -> country.toLowerCase(Locale.ROOT)))
                .collect(Collectors.joining("|"));
    }

    /** Eight groups, of which one run of zeros may be left out. */
    private static String ipv6() {
        var forms = new StringBuilder("(?:" + GROUP + ":){7}" + GROUP);
        for (int before = 0; before <= 6; before++) {
            String left = before == 0 ? ":" : "(?:" + GROUP + ":){" + before + "}";
            int after = 6 - before;
            forms.append('|').append(left);
            forms.append(after == 0 ? ":(?:" + GROUP + ")?" : ":(?:" + GROUP + "(?::" + GROUP + "){0," + after + "})?");
        }
        return forms.toString();
    }

    /** The texts of a format, if it is one that is enforced. */
    static Optional<CharAutomaton> of(String name) {
        return Optional.ofNullable(EXPRESSIONS.get(name)).map(Regex::whole);
    }
}
