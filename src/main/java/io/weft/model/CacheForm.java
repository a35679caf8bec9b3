package io.weft.model;

/**
 * What a cache block holds and where: KV is K and V of every token, 2·KVH·HD elements a layer; ACT is the
 * {@linkplain KeyValueSource source} from which they are recomputed, in most models the exact input of their
 * projections, D elements a layer.
 */
public enum CacheForm {
    DEVICE_KV(Content.KEY_VALUE, Place.DEVICE),
    DEVICE_ACT(Content.ACTIVATION, Place.DEVICE),
    HOST_KV(Content.KEY_VALUE, Place.HOST),
    HOST_ACT(Content.ACTIVATION, Place.HOST);

    /** What is stored. */
    public enum Content {
        KEY_VALUE,
        ACTIVATION
    }

    /** Which memory it is stored in. */
    public enum Place {
        DEVICE,
        HOST
    }

    private final Content content;
    private final Place place;

    CacheForm(Content content, Place place) {
        this.content = content;
        this.place = place;
    }

    public Content content() {
        return content;
    }

    public Place place() {
        return place;
    }

    /** The form with this content at this place. */
    public static CacheForm of(Content content, Place place) {
        return switch (place) {
            case DEVICE -> content == Content.KEY_VALUE ? DEVICE_KV : DEVICE_ACT;
            case HOST -> content == Content.KEY_VALUE ? HOST_KV : HOST_ACT;
        };
    }
}
