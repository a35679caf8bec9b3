package io.weft.model;

import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * What a cache block holds and where. The order of forms is that of {@link #all}.
 *
 * @param encoding what is stored, and how
 * @param place which memory it is stored in
 */
public record CacheForm(Encoding encoding, Place place) implements Comparable<CacheForm> {
    /** K and V on the device, which attention reads where they are. */
    public static final CacheForm DEVICE_KV = new CacheForm(Encoding.KEY_VALUE, Place.DEVICE);

    public static final CacheForm DEVICE_ACT = new CacheForm(Encoding.ACTIVATION, Place.DEVICE);
    public static final CacheForm HOST_KV = new CacheForm(Encoding.KEY_VALUE, Place.HOST);
    public static final CacheForm HOST_ACT = new CacheForm(Encoding.ACTIVATION, Place.HOST);

    private static final int ENCODINGS = Encoding.values().length;

    private static final List<CacheForm> ALL = Arrays.stream(Place.values())
            .flatMap(place -> Arrays.stream(Encoding.values()).map(encoding -> new CacheForm(encoding, place)))
            .toList();

    private static final Comparator<CacheForm> ORDER = Comparator.comparingInt(CacheForm::index);

    /**
     * What is stored: KV is K and V of every token, 2·KVH·HD elements a layer; ACT is the {@linkplain KeyValueSource
     * source} from which they are recomputed, in most models the exact input of their projections, D elements a layer.
     */
    public enum Content {
        KEY_VALUE,
        ACTIVATION
    }

    /** A memory. */
    public enum Place {
        DEVICE,
        HOST
    }

    /** All forms, in a fixed order. */
    public static List<CacheForm> all() {
        return ALL;
    }

    /** Some forms, in the order of {@link #all}. */
    public static SortedSet<CacheForm> setOf(CacheForm... forms) {
        return Collections.unmodifiableSortedSet(new TreeSet<>(Arrays.asList(forms)));
    }

    /** The form with this name. */
    public static Optional<CacheForm> ofLabel(String label) {
        return ALL.stream().filter(form -> form.label().equals(label)).findFirst();
    }

    public Content content() {
        return encoding.content();
    }

    /** Whether attention reads it where it is; all others are brought to a place of the step. */
    public boolean isReadInPlace() {
        return equals(DEVICE_KV);
    }

    /** Whether it is on the device and has its content as it is, but is first brought together in a slot. */
    public boolean isGathered() {
        return place == Place.DEVICE && !encoding.isCoded() && !isReadInPlace();
    }

    /** The index in {@link #all}. */
    public int index() {
        return place.ordinal() * ENCODINGS + encoding.ordinal();
    }

    /** The name users give it. */
    public String label() {
        return place.name().toLowerCase(Locale.ROOT) + "_" + encoding.label();
    }

    /** This encoding at another place. */
    public CacheForm at(Place other) {
        return new CacheForm(encoding, other);
    }

    @Override
    public int compareTo(CacheForm other) {
        return ORDER.compare(this, other);
    }
}
